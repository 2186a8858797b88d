"""Profiles of AiiDA, loaded without showing what AiiDA says about them, which can hold their passwords."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from phasecal.errors import InputError

if TYPE_CHECKING:
    from aiida.manage.configuration import Config

HIDDEN = "***"


def read_config(create: bool = False) -> Config:
    """Return AiiDA's configuration.

    Args:
        create: Make an empty one where there is none.

    Raises:
        InputError: There is none, or it cannot be read.
    """
    from aiida.common.exceptions import ConfigurationError, MissingConfigurationError
    from aiida.manage.configuration import get_config, get_config_path

    try:
        return get_config(create=create)
    except MissingConfigurationError:
        raise InputError("there is no AiiDA profile yet; make one with `phasecal init`") from None
    except ConfigurationError:  # whose text can quote the file
        raise InputError(
            f"{get_config_path()} is damaged, or of another version of AiiDA; correct it, or put back one of the "
            "copies that AiiDA keeps beside it"
        ) from None


def load_profile(name: str | None) -> None:
    """Load an AiiDA profile and open its record; without a name the one that verdi was given, or the default one.

    Raises:
        InputError: There is no such profile, or its record cannot be opened.
    """
    from aiida import load_profile as load
    from aiida.common.exceptions import AiidaException
    from aiida.manage import get_manager

    manager = get_manager()
    if name is not None or manager.get_profile() is None:
        load(_existing(name), allow_switch=True)
    try:
        manager.get_profile_storage()
    except AiidaException as error:
        name = manager.get_profile().name
        raise InputError(
            f"the record of profile {name} cannot be opened ({type(error).__name__}); `verdi -p {name} status` says why"
        ) from None


def _existing(name: str | None) -> str:
    """Return the name of a profile that is there; the default one if none is given.

    Raises:
        InputError: There is none of that name, or no default one.
    """
    config = read_config()
    known = ", ".join(config.profile_names)
    if not known:
        raise InputError(f"there is no profile in {config.filepath}; make one with `phasecal init`")
    found = name or config.default_profile_name
    if found is None:
        raise InputError(
            f"{config.filepath} has no default profile; use `-p NAME` or `verdi profile set-default NAME` with one of "
            f"its profiles ({known})"
        )
    if found not in config.profile_names:
        raise InputError(
            f"there is no profile {found} in {config.filepath}; use `-p NAME` with one of its profiles ({known}), or "
            f"make it with `phasecal init -p {found}`"
        )
    return found


def without_passwords(text: str) -> str:
    """Return what another program said, without the passwords of any profile."""
    for password in _passwords(read_config().dictionary):
        for written in {password, quote(password, safe="")}:
            text = text.replace(written, HIDDEN)
    return text


def _passwords(config: Any) -> Iterator[str]:
    """Passwords in a configuration or a part of it."""
    if isinstance(config, dict):
        for key, value in config.items():
            if "password" in key and isinstance(value, str) and value:
                yield value
            yield from _passwords(value)
