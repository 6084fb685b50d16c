# Reference values of optimism-corrected indices, from R (rms::validate). Run in this folder with: Rscript optimism.R
# Writes optimism_<set>.csv (synthetic rows), optimism_<set>_draws.csv (who is in each resample, from 0) and
# optimism_expected.csv. Intercept in the large, which validate does not give, comes from a loop over the same resamples.

suppressPackageStartupMessages(library(rms))
set.seed(20240301, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
resamples <- 40

make_rows <- function(n, weights, missed = 0) {
  x <- matrix(round(rnorm(n * length(weights)), 4), n, dimnames = list(NULL, paste0("x", seq_along(weights))))
  y <- rbinom(n, 1, plogis(-0.3 + drop(x %*% weights) + missed * (x[, 1]^2 - 1)))
  data.frame(y = y, x)
}

sets <- list(
  calibrated = make_rows(400, c(0.9, -0.6, 0.4)),
  overfitted = make_rows(90, c(0.8, -0.5, rep(0, 8)), missed = 0.6),  # ten predictors, one of them bent
  tiny = make_rows(45, c(0.9, 0.3))
)

strict <- glm.control(1e-14, 100)
in_the_large <- function(y, lp) unname(coef(glm(y ~ 1, offset = lp, family = binomial, control = strict))[1])

expected <- do.call(rbind, lapply(names(sets), function(name) {
  rows <- sets[[name]]
  formula <- reformulate(setdiff(names(rows), "y"), "y")
  fit <- lrm(formula, data = rows, x = TRUE, y = TRUE, eps = 1e-10, maxit = 100)
  set.seed(7)
  found <- validate(fit, B = resamples)
  set.seed(7)
  draws <- replicate(resamples, sample(nrow(rows), replace = TRUE))
  loop <- apply(draws, 2, function(drawn) {
    refit <- glm(formula, data = rows[drawn, ], family = binomial, control = strict)
    lp <- predict(refit, rows)
    c(
      slope = unname(coef(glm(rows$y ~ lp, family = binomial, control = strict))[2]),
      large = in_the_large(rows$y[drawn], lp[drawn]) - in_the_large(rows$y, lp)
    )
  })
  # The draws are those of validate: its mean slope on the rows themselves is that of the loop.
  stopifnot(found["Slope", "n"] == resamples, abs(found["Slope", "test"] - mean(loop["slope", ])) < 1e-6)
  write.csv(rows, sprintf("optimism_%s.csv", name), row.names = FALSE, quote = FALSE)
  write.table(t(draws) - 1, sprintf("optimism_%s_draws.csv", name), sep = ",", row.names = FALSE, col.names = FALSE)
  told <- c("index.orig", "optimism", "index.corrected")
  large <- mean(loop["large", ])
  table <- rbind(
    auroc = found["Dxy", told] / 2 + c(0.5, 0, 0.5),
    brier = found["B", told],
    calibration_slope = found["Slope", told],
    calibration_intercept = c(0, large, -large)
  )
  data.frame(
    set = name, metric = rownames(table), apparent = sprintf("%.15g", table[, 1]),
    optimism = sprintf("%.15g", table[, 2]), corrected = sprintf("%.15g", table[, 3])
  )
}))
write.csv(expected, "optimism_expected.csv", row.names = FALSE, quote = FALSE)
