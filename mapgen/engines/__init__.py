"""Running a model: pixels in, probabilities out."""

import sys

# OpenVINO reports its use to its makers unless this package is missing, which it takes in its stride.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
