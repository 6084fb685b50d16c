# Reference values of restricted cubic splines, from R. Run in this folder with: Rscript splines.R
# Writes splines.csv: values (in digits that survive the file), and the bending parts that rms makes of them by the four
# knots named in the columns. norm = 2 divides by the squared distance of the outer knots.

suppressPackageStartupMessages(library(rms))

values <- c(-8, -3.5, -1.645, -1.2, -0.7, -0.385, -0.1, 0, 0.3, 0.385, 0.9, 1.4, 1.645, 2.5, 9)
sets <- list(even = c(-1.645, -0.385, 0.385, 1.645), skewed = c(-0.9, -0.75, 0.2, 2.6))

rows <- lapply(names(sets), function(name) {
  knots <- sets[[name]]
  parts <- rcspline.eval(values, knots = knots, norm = 2)
  data.frame(
    set = name, knot_1 = knots[1], knot_2 = knots[2], knot_3 = knots[3], knot_4 = knots[4],
    value = values, first = parts[, 1], second = parts[, 2]
  )
})
table <- do.call(rbind, rows)
table$first <- signif(table$first, 15)
table$second <- signif(table$second, 15)
write.csv(table, "splines.csv", row.names = FALSE, quote = FALSE)
