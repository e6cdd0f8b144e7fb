"""What counts as a secret: lines that the lab's programs log, with and without planted secrets."""

import pytest

from tests.e2e.leaks import leaks

MIGRATOR = "grafana-1  | logger=migrator t=2026-11-27T10:22:13.123456789Z level=info"

NAMES_ALONE = [
    f'{MIGRATOR} msg="Executing migration" id="Add scope to alert.notifications.receivers:read and'
    ' alert.notifications.receivers.secrets:read"',
    f'{MIGRATOR} msg="Migration successfully executed" id="Add scope to alert.notifications.receivers:read and'
    ' alert.notifications.receivers.secrets:read" duration=1.2ms',
    f'{MIGRATOR} msg="Executing migration" id="create api_key table v2"',
    f'{MIGRATOR} msg="Executing migration" id="add unique index user_auth_token.prev_auth_token"',
    f'{MIGRATOR} msg="Executing migration" id="create secrets table"',
    f'{MIGRATOR} msg="Executing migration" id="add users.authtoken:update, users.password:write and apikeys:create."',
    f'{MIGRATOR} msg="Executing migration" id="secret.securevalues:create secrets:*"',
    'logger=secrets t=2026-11-27T10:22:14Z level=info msg="Envelope encryption state" enabled=true'
    " currentprovider=secretKey.v1",
    'logger=settings level=info msg="Config overridden" var="GF_SECURITY_ADMIN_PASSWORD=*********"',
    'logger=settings level=info msg="Config overridden" var="GF_AUTH_TOKEN_ROTATION_INTERVAL_MINUTES=10"',
    'logger=settings level=info var="GF_SECURITY_ADMIN_PASSWORD__FILE=/run/secrets/admin"',
    'logger=auth level=info msg="Deleted expired auth tokens" tokens=14 token_ttl_seconds=3600',
    'logger=context level=info method=GET token= status=200 userId=0 msg="Request completed"',
    'logger=sqlstore msg="Connecting to DB" url=mysql://grafana:xxxxx@db:3306/grafana',
    '{"Env": ["GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED=true", "PASSWORD=", "GPG_KEY=7169605F62C751356D054A26"]}',
    '{"use_secrets": false, "token": null, "password": ""}',
    "{user: admin, password: null} {token: none}",
    "RUN --mount=type=secret TOKEN=$TOKEN PASSWORD=${PASSWORD} ./configure --disable-token",
    'ts=2026-11-27T10:22:13Z level=info msg="Server is ready" url=http://127.0.0.1:9090/-/ready',
]


@pytest.mark.parametrize("line", NAMES_ALONE)
def test_a_secrets_name_is_no_secret(line: str) -> None:
    assert leaks(line) == []


SECRETS = [
    ("logger=settings var=GF_SECURITY_ADMIN_PASSWORD=hunter2", "GF_SECURITY_ADMIN_PASSWORD=hunter2"),
    ('{"Env": ["API_KEY=0123456789abcdef"]}', "API_KEY=0123456789abcdef"),
    ("ENV CLIENT_SECRET=s3cr3t", "CLIENT_SECRET=s3cr3t"),
    ("ENV AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG"),
    ("db_password: correct-horse", "db_password: correct-horse"),
    ("password=1234", "password=1234"),
    ("password = 'hunter2'", "password = 'hunter2"),
    ("password:test", "password:test"),
    ("secretKey=SW2YcwTIb9zpOOhoPsMm", "secretKey=SW2YcwTIb9zpOOhoPsMm"),
    ("receivers.secrets:hunter2", "receivers.secrets:hunter2"),
    ("receivers.secrets=read", "receivers.secrets=read"),
    ('{"token": "abc.def"}', 'token": "abc.def'),
    (r'msg="{\"apiKey\":\"k-99\"}"', r"apiKey\":\"k-99"),
    ("token=$2y$10$abcdefghijk", "token=$2y$10$abcdefghijk"),
    ("X-Auth-Token: 42", "X-Auth-Token: 42"),
    ("curl --api-key k-99 --verbose", "--api-key k-99"),
    ("passphrase: open", "passphrase: open"),
    ("postgres://lab:hunter2@db/lab", "://lab:hunter2@"),
    ("redis://:hunter2@cache:6379", "://:hunter2@"),
    ("Authorization: Basic YWRtaW46YWRtaW4=", "Authorization: Basic YWRtaW46YWRtaW4="),
    ("sent Bearer 0123456789abcdef0123", "Bearer 0123456789abcdef0123"),
    ("glsa_0123456789abcdefghij_0011", "glsa_0123456789abcdefghij_0011"),
    ("-----BEGIN RSA PRIVATE KEY-----", "BEGIN RSA PRIVATE KEY"),
    ("-----BEGIN PRIVATE KEY-----", "BEGIN PRIVATE KEY"),
]


@pytest.mark.parametrize(("line", "found"), SECRETS)
def test_a_secrets_value_is_found(line: str, found: str) -> None:
    assert found in leaks(line)


@pytest.mark.parametrize(("secret", "found"), SECRETS)
def test_a_secret_is_found_among_names(secret: str, found: str) -> None:
    assert leaks("\n".join([*NAMES_ALONE, secret, *NAMES_ALONE])) == leaks(secret)
    assert found in leaks(secret)
