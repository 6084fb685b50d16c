# Reference values of random-effects pooling, from R (metafor). Run in this folder with: Rscript pooling.R
# Writes pooling.csv (made-up estimates of groups) and pooling_expected.csv. The prediction interval is that of Higgins,
# Thompson and Spiegelhalter: t with two degrees of freedom fewer than groups, and the error of Hartung and Knapp,
# which is not let below that of the fixed variances ("adhoc").

suppressPackageStartupMessages(library(metafor))
set.seed(11, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")

make_groups <- function(k, tau, low, high) {
  error <- round(runif(k, low, high), 4)
  data.frame(estimate = round(rnorm(k, 0.2, sqrt(tau^2 + error^2)), 4), error = error)
}
sets <- list(
  many = make_groups(12, 0.3, 0.05, 0.4),
  alike = data.frame(estimate = c(0.2, 0.25, 0.15, 0.22, 0.18), error = c(0.2, 0.3, 0.25, 0.4, 0.5)),
  few = make_groups(3, 0.8, 0.1, 0.3)
)

expected <- do.call(rbind, lapply(names(sets), function(name) {
  rows <- sets[[name]]
  fit <- rma(estimate, sei = error, data = rows, method = "REML", test = "adhoc",
             control = list(threshold = 1e-14, maxiter = 1000))
  shrunken <- blup(fit)$pred
  wide <- qt(0.975, nrow(rows) - 2) * sqrt(fit$se^2 + fit$tau2)
  values <- c(mean = as.numeric(fit$beta), error = fit$se, lower = fit$ci.lb, upper = fit$ci.ub, tau = sqrt(fit$tau2),
              predicted_lower = as.numeric(fit$beta) - wide, predicted_upper = as.numeric(fit$beta) + wide,
              setNames(shrunken, paste0("shrunken_", seq_along(shrunken))))
  data.frame(set = name, quantity = names(values), value = sprintf("%.15g", values))
}))
write.csv(do.call(rbind, lapply(names(sets), function(name) data.frame(set = name, sets[[name]]))), "pooling.csv",
          row.names = FALSE, quote = FALSE)
write.csv(expected, "pooling_expected.csv", row.names = FALSE, quote = FALSE)
