"""The dashboards, as a program: `python -m grafana.write` writes dashboards/*.json."""

import warnings

# File provisioning needs the classic model; the library warns that its new model is preferred.
warnings.filterwarnings("ignore", message="Prefer using dashboardv2", category=DeprecationWarning)
