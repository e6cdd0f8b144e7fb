"""The dashboards, as a program: `python -m grafana.write` writes dashboards/*.json."""

import warnings

# The classic model is the one that file provisioning takes; the library would rather have us use its second one.
warnings.filterwarnings("ignore", message="Prefer using dashboardv2", category=DeprecationWarning)
