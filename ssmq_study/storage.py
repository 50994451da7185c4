"""Storages of Optuna: their addresses, made, shown and opened."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import optuna
from sqlalchemy import URL
from sqlalchemy.engine import make_url
from ssmq_brevitas.errors import SsmqError


def sqlite(path: Path) -> str:
    """The address of a database in a file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path.resolve())).render_as_string(hide_password=False)


def open_study(name: str, storage: str) -> optuna.Study:
    """The study, made if it is not there. Raises SsmqError if the storage cannot be used."""
    # Workers that start together trip over each other's tables: then once more.
    pauses = iter((0.2, 0.5, 1.0, 2.0))
    while True:
        try:
            return optuna.create_study(
                study_name=name, storage=storage, directions=["maximize", "minimize"], load_if_exists=True
            )
        # Nothing but the address can be wrong, and each driver has exceptions of its own for that.
        except Exception as error:
            pause = next(pauses, None)
            if pause is None or not of_storage(error):
                raise unusable(error, storage) from error
            time.sleep(pause)


def of_storage(error: Exception) -> bool:
    """Whether a storage's driver raised it, such as for a lock that was never released."""
    return type(error).__module__.split(".")[0] in ("optuna", "sqlalchemy")


def unusable(error: Exception, storage: str) -> SsmqError:
    """An error of a storage in words, without the storage's password."""
    try:
        url = make_url(storage)
        query = {key: "***" if "pass" in key.lower() else value for key, value in url.query.items()}
        shown = url.set(query=query).render_as_string(hide_password=True)
    except Exception:
        # It cannot be taken apart, so nothing tells where a password would be.
        return SsmqError(f"the storage has no address ({type(error).__name__}): give DIALECT://USER@HOST/DATABASE")
    reason = " ".join(str(error).split()).replace(storage, shown)
    for secret in filter(None, [url.password, *(v for k, v in url.query.items() if "pass" in k.lower())]):
        for form in (quote(str(secret), safe=""), quote_plus(str(secret)), str(secret)):
            reason = reason.replace(form, "***")
    return SsmqError(f"the storage {shown} cannot be used ({reason}): correct its address")
