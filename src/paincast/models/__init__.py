"""Response models: learners, calibration, selection and uncertainty."""
