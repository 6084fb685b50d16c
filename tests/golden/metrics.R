# Reference values for the metrics, from R. Run in this folder with: Rscript metrics.R
# Writes metrics_<set>.csv (synthetic rows), metrics_expected.csv and wilson_expected.csv.

set.seed(20240229, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")

make_rows <- function(n, intercept, slope, spread, digits) {
  log_odds <- rnorm(n, -0.4, spread)
  outcome <- rbinom(n, 1, plogis(log_odds))
  probability <- round(plogis(intercept + slope * log_odds + rnorm(n, 0, 0.3)), digits)
  data.frame(outcome = outcome, probability = pmin(pmax(probability, 10^-digits), 1 - 10^-digits))
}

sets <- list(
  calibrated = make_rows(400, 0, 1, 1.1, 6),
  badly_calibrated = make_rows(600, 1.2, 2.5, 1.0, 2),  # two digits: many ties
  tiny = make_rows(47, -0.5, 1.6, 0.9, 3)
)

compute_expected <- function(rows) {
  y <- rows$outcome
  p <- rows$probability
  lp <- qlogis(p)
  strict <- glm.control(epsilon = 1e-14, maxit = 100)
  cases <- sum(y)
  c(
    auroc = (sum(rank(p)[y == 1]) - cases * (cases + 1) / 2) / (cases * (length(y) - cases)),
    log_loss = -mean(dbinom(y, 1, p, log = TRUE)),
    brier = mean((y - p)^2),
    o_e_ratio = sum(y) / sum(p),
    calibration_intercept = unname(coef(glm(y ~ 1, offset = lp, family = binomial, control = strict))[1]),
    calibration_slope = unname(coef(glm(y ~ lp, family = binomial, control = strict))[2])
  )
}

expected <- do.call(rbind, lapply(names(sets), function(name) {
  values <- compute_expected(sets[[name]])
  data.frame(set = name, metric = names(values), estimate = sprintf("%.15g", values))
}))
for (name in names(sets)) {
  write.csv(sets[[name]], sprintf("metrics_%s.csv", name), row.names = FALSE, quote = FALSE)
}
write.csv(expected, "metrics_expected.csv", row.names = FALSE, quote = FALSE)

wilson <- do.call(rbind, lapply(list(c(0, 10), c(1, 12), c(7, 20), c(150, 300), c(40, 40)), function(cell) {
  interval <- suppressWarnings(prop.test(cell[1], cell[2], correct = FALSE))$conf.int
  data.frame(events = cell[1], n = cell[2], lower = sprintf("%.15g", interval[1]), upper = sprintf("%.15g", interval[2]))
}))
write.csv(wilson, "wilson_expected.csv", row.names = FALSE, quote = FALSE)
