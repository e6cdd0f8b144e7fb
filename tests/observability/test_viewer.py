"""Anyone who opens Grafana can view and cannot edit; no password is left at its default."""

from typing import Any

import pytest
import yaml

from tests.observability.queries import ROOT

SERVICE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"][
    "grafana"
]


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("GF_AUTH_ANONYMOUS_ENABLED", "true", "viewing needs no login"),
        ("GF_AUTH_ANONYMOUS_ORG_ROLE", "Viewer", "who looks may not edit"),
        ("GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION", "true", "there is no administrator, so no default password"),
        ("GF_AUTH_DISABLE_LOGIN_FORM", "true", "there is no user to log in as"),
        ("GF_AUTH_BASIC_ENABLED", "false", "nor over the API"),
        ("GF_USERS_ALLOW_SIGN_UP", "false", "there is no sign-up"),
        ("GF_PLUGINS_PLUGIN_ADMIN_ENABLED", "false", "nothing is installed"),
        ("GF_SNAPSHOTS_EXTERNAL_ENABLED", "false", "nothing is published"),
        ("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH", "/etc/grafana/dashboards/compare.json", "it opens on Compare"),
    ],
)
def test_grafana_is_told_so(setting: str, value: str, why: str) -> None:
    assert SERVICE["environment"].get(setting) == value, f"{setting}: {why}"


def test_no_password_or_token_stands_anywhere() -> None:
    for name in SERVICE["environment"]:
        assert not any(word in name for word in ("PASSWORD", "SECRET_KEY", "TOKEN", "ADMIN_USER")), name


def test_the_files_can_be_read_and_not_written() -> None:
    assert all(volume.endswith(":ro") for volume in SERVICE["volumes"])
    assert SERVICE["read_only"] is True
    assert SERVICE["tmpfs"] == ["/tmp", "/var/lib/grafana"], "its database begins anew, with what is provisioned"


def test_what_is_provisioned_is_not_editable() -> None:
    folder = ROOT / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards" / "lab.yml").read_text(encoding="utf-8"))["providers"]
    assert provider["editable"] is provider["allowUiUpdates"] is False
    assert provider["disableDeletion"] is True
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    assert source["editable"] is False
