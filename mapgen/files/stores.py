"""Object stores: what their refusals mean, and what tells one content of an object from another.

GDAL reads from them, with credentials that it finds in the environment and in the profiles there; nothing of these is
ever said. Its errors carry the answer of the store, of which only the kind is told, in words of our own.
"""

from __future__ import annotations

import configparser
import os
import re
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mapgen.errors import MapgenError, NetworkError
from mapgen.files.vet import bucket_and_key, public_name

_EXPIRED = re.compile("expired", re.IGNORECASE)
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or AWS_NO_SIGN_REQUEST=YES for what is public",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or GS_NO_SIGN_REQUEST=YES for what is public",
    "az": "AZURE_STORAGE_ACCOUNT and its key, or AZURE_NO_SIGN_REQUEST=YES for what is public",
}
_PAYER = {"s3": " (AWS_REQUEST_PAYER=requester where the reader pays)"}


def refusal(name: str, exc: BaseException) -> MapgenError:
    """What a store has against an address, by the error that GDAL raised for it."""
    kind, subject, text = name.split(":", 1)[0].lower(), public_name(name), str(exc)
    sort = type(exc.__context__ or exc).__name__
    status = next(iter(re.findall(r"HTTP response code: (\d{3})", text)), "")
    if "configuration options not defined" in text or text.startswith("Missing AZURE"):
        return NetworkError(subject, "no credentials for the store were found", f"set {_CREDENTIALS[kind]}")
    if _EXPIRED.search(text):
        return NetworkError(subject, "the credentials have expired", "get fresh ones and run the same command again")
    if "Bucket" in sort or re.search(r"NoSuchBucket|bucket does not exist", text):
        return NetworkError(subject, "the store has no such bucket (404)", "check the address")
    if "ObjectNotFound" in sort or status in ("404", "410") or "NoSuchKey" in text:
        return NetworkError(subject, "the store has no such object (404)", "check the address")
    if re.search(r"InvalidAccessKeyId|SignatureDoesNotMatch|signature we calculated|Access Key Id you provided", text):
        return NetworkError(subject, "the store does not know these credentials (403)", "check them in the environment")
    if "AccessDenied" in sort or status in ("401", "403"):
        remedy = f"ask for access, or check the credentials and the key{_PAYER.get(kind, '')}"
        return NetworkError(subject, f"the store forbids it ({status or 403})", remedy)
    if status in ("429", "500", "502", "503", "504") or re.search(r"SlowDown|reduce your request|Throttl", text):
        problem = f"the store is busy ({status or 503}), also when asked again"
        return NetworkError(subject, problem, "run it again later, with less at once")
    if "Redirect" in text or status in ("301", "307"):
        return NetworkError(subject, "the store has it in another region", "set AWS_REGION to that of the bucket")
    return NetworkError(
        subject, f"the store gives no usable answer{f' ({status})' if status else ''}", "check the address and network"
    )


def stored_version(name: str) -> dict[str, Any] | None:
    """Tag, time and size of an object of S3; None where that cannot be asked: without `mapgen[cloud]`, or refused."""
    if not name.lower().startswith("s3://") or find_spec("obstore") is None:
        return None
    from obstore.exceptions import BaseError

    bucket, key = bucket_and_key(name)
    try:
        found = s3_store(bucket).head(key)
    except (BaseError, ValueError, OSError):
        return None
    return {"etag": found["e_tag"] or "", "modified": found["last_modified"].isoformat(), "size": found["size"]}


def s3_store(bucket: str) -> Any:
    """A bucket of S3 for obstore, with what GDAL goes by: its environment variables, then the profile."""
    from obstore.store import S3Store

    said = _environment()
    secure = said("AWS_HTTPS", "YES").upper() not in ("NO", "FALSE", "OFF", "0")
    config: Any = {
        "virtual_hosted_style_request": said("AWS_VIRTUAL_HOSTING", "TRUE").upper() in ("TRUE", "YES", "ON", "1"),
        "region": said("AWS_REGION", said("AWS_DEFAULT_REGION", "us-east-1")),
    }
    if endpoint := said("AWS_S3_ENDPOINT", said("AWS_ENDPOINT_URL", "")):
        config["endpoint"] = endpoint if "://" in endpoint else f"http{'s' * secure}://{endpoint}"
        if config["virtual_hosted_style_request"]:
            scheme, _, host = config["endpoint"].partition("://")
            config["endpoint"] = f"{scheme}://{bucket}.{host}"
    if said("AWS_NO_SIGN_REQUEST", "NO").upper() in ("YES", "TRUE", "ON", "1"):
        config["skip_signature"] = True
    if said("AWS_REQUEST_PAYER", ""):
        config["request_payer"] = True
    for key in ("access_key_id", "secret_access_key", "session_token"):
        if value := said(f"AWS_{key.upper()}", ""):
            config[key] = value
    plain = str(config.get("endpoint", "")).startswith("http://")
    return S3Store(
        bucket, config=config, client_options={"allow_http": plain, "timeout": "60s"},
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
    )  # fmt: skip


def _environment() -> Any:
    """A look at the environment, and at the user's profile of AWS for what it lacks."""
    profile = {} if os.environ.get("AWS_ACCESS_KEY_ID") else _profile()

    def said(name: str, default: str) -> str:
        return os.environ.get(name) or profile.get(name.lower()) or default

    return said


def _profile() -> dict[str, str]:
    """The user's profile of AWS as its tools write it; empty where there is none."""
    name = os.environ.get("AWS_PROFILE", os.environ.get("AWS_DEFAULT_PROFILE", "default"))
    found: dict[str, str] = {}
    for variable, usual, section in (
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        parser = configparser.ConfigParser(interpolation=None)
        try:
            path = Path(os.environ.get(variable) or Path.home() / ".aws" / usual)
            parser.read_string(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RuntimeError, configparser.Error):  # RuntimeError: no home directory is known
            continue
        if parser.has_section(section):
            found |= {key if key.startswith("aws_") else f"aws_{key}": value for key, value in parser[section].items()}
    return found
