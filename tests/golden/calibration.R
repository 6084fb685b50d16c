# Reference values of smooth calibration and of the area under the ROC curve, from R (rms, pROC), for the rows of
# metrics_<set>.csv. Run in this folder, after metrics.R, with: Rscript calibration.R
# Writes calibration_expected.csv and calibration_lowess.csv.
#
# val_prob_*: rms::val.prob, whose smooth curve is lowess. Intercept and slope are those of its joint fit.
# spline_*: observed on predicted log odds by a restricted cubic spline on Harrell's quantiles, not penalised.
# ridge_*: the same with rms::lrm.fit's penalty of 4 on the bending parts, which are freed of the straight line and scaled.
# delong_*: pROC's interval of the AUROC, 95 %.

suppressPackageStartupMessages({library(rms); library(pROC)})

places <- list("3" = c(.1, .5, .9), "4" = c(.05, .35, .65, .95), "5" = c(.05, .275, .5, .725, .95))

measure <- function(name, observed, predicted) {
  distance <- abs(observed - predicted)
  values <- c(mean(distance), quantile(distance, c(.5, .9)), max(distance))
  setNames(values, paste0(name, c("_ici", "_e50", "_e90", "_emax")))
}

compute_expected <- function(rows) {
  y <- rows$outcome
  p <- rows$probability
  lp <- qlogis(p)
  of_rms <- val.prob(p, y, pl = FALSE)
  knots <- unique(quantile(lp, places[[if (length(y) < 30) "3" else if (length(y) < 100) "4" else "5"]]))
  bends <- rcspline.eval(lp, knots = knots, norm = 2)
  strict <- glm.control(epsilon = 1e-14, maxit = 100)
  spline <- fitted(glm(y ~ lp + bends, family = binomial, control = strict))
  freed <- scale(residuals(lm(bends ~ lp)), center = FALSE, scale = FALSE)
  freed <- sweep(freed, 2, sqrt(colMeans(freed^2)), "/")
  k <- ncol(freed)
  # lrm.fit penalises with half the penalty times the squared coefficient.
  ridge <- lrm.fit(cbind(lp, freed), y, penalty.matrix = diag(c(0, rep(4, k))), eps = 1e-14, tol = 1e-14, maxit = 100)
  area <- as.numeric(ci.auc(roc(y, p, levels = c(0, 1), direction = "<", quiet = TRUE), method = "delong"))
  c(
    val_prob_c = unname(of_rms["C (ROC)"]), val_prob_brier = unname(of_rms["Brier"]),
    val_prob_intercept = unname(of_rms["Intercept"]), val_prob_slope = unname(of_rms["Slope"]),
    val_prob_emax = unname(of_rms["Emax"]), val_prob_e90 = unname(of_rms["E90"]),
    val_prob_eavg = unname(of_rms["Eavg"]),
    measure("spline", spline, p), measure("ridge", plogis(ridge$linear.predictors), p),
    delong_lower = area[1], delong_estimate = area[2], delong_upper = area[3]
  )
}

sets <- c("calibrated", "badly_calibrated", "tiny")
expected <- do.call(rbind, lapply(sets, function(name) {
  values <- compute_expected(read.csv(sprintf("metrics_%s.csv", name)))
  data.frame(set = name, quantity = names(values), value = sprintf("%.15g", values))
}))
write.csv(expected, "calibration_expected.csv", row.names = FALSE, quote = FALSE)

# The curve behind Emax, E90 and Eavg: with it their definitions are compared, without it the smoothers.
lowess_curves <- do.call(rbind, lapply(sets, function(name) {
  rows <- read.csv(sprintf("metrics_%s.csv", name))
  smooth <- approx(lowess(rows$probability, rows$outcome, iter = 0), xout = rows$probability, ties = mean)$y
  data.frame(set = name, row = seq_along(smooth), observed = sprintf("%.15g", smooth))
}))
write.csv(lowess_curves, "calibration_lowess.csv", row.names = FALSE, quote = FALSE)
