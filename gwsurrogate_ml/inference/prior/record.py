"""bilby's priors as JSON holds them, and back, to the last digit.

bilby's own encoding of each prior is kept, which holds tables, labels and cosmologies; its `repr`, which earlier results kept,
can be parsed back for some priors only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError

if TYPE_CHECKING:
    from bilby.core.prior import Prior, PriorDict


def written(priors: Mapping[str, Prior]) -> dict[str, Any]:
    """What JSON keeps of priors, by parameter.

    Examples
    --------
    >>> from bilby.core.prior import Uniform
    >>> read(written({"ra": Uniform(0, 6, latex_label="$a, b$")}))["ra"].latex_label
    '$a, b$'
    """
    from bilby.core.utils import BilbyJsonEncoder

    kept: dict[str, Any] = json.loads(json.dumps({name: _quick(prior) for name, prior in priors.items()}, cls=BilbyJsonEncoder))
    return kept


def read(record: Mapping[str, Any]) -> PriorDict:
    """The priors as a bilby `BBHPriorDict`, which knows the masses that Constraints may be on.

    Parameters
    ----------
    record : mapping from parameter to what `written` gives, or to the `repr` that earlier results kept
    """
    from bilby.core.utils import decode_bilby_json
    from bilby.gw.prior import BBHPriorDict

    return BBHPriorDict(json.loads(json.dumps(dict(record)), object_hook=decode_bilby_json))


def require_kept(name: str, prior: Prior) -> None:
    """Raise unless the prior of the parameter `name` comes back from JSON with the same density.

    Raises
    ------
    ConfigError
        naming parameter and class
    """
    try:
        again = read(written({name: prior}))[name]
        at = prior.rescale(np.linspace(0.0, 1.0, 101)[1:-1])
        same = np.allclose(again.ln_prob(at), prior.ln_prob(at), rtol=0, atol=1e-9)
        reason = "it comes back as another density"
    except (AttributeError, ImportError, LookupError, NameError, SyntaxError, TypeError, ValueError) as error:
        same, reason = False, str(error)
    if not same:
        raise ConfigError(
            f"the prior on {name} is a {type(prior).__name__} that cannot be written down in the result ({reason}): give one of "
            "bilby's, such as an Interped of its density"
        )


def _quick(prior: Prior) -> Prior:
    """The prior, or the table that it is: bilby integrates `AlignedSpin` of any but uniform spins anew, for minutes."""
    from bilby.core.prior import Interped, Uniform
    from bilby.gw.prior import AlignedSpin

    if type(prior) is not AlignedSpin:
        return prior
    a, z = prior.a_prior, prior.z_prior
    if isinstance(a, Uniform) and isinstance(z, Uniform) and (z.minimum, z.maximum) == (-1, 1):
        return prior
    said = {key: getattr(prior, key) for key in ("minimum", "maximum", "name", "latex_label", "unit", "boundary")}
    return Interped(prior.xx, prior.yy, **said)
