"""All cases of the gallery, in the order in which they are shown."""

from tests.hostile.archives import ARCHIVES
from tests.hostile.cases import Case
from tests.hostile.cheats import CHEATS
from tests.hostile.escapes import ESCAPES
from tests.hostile.exhaustion import EXHAUSTION
from tests.hostile.forgery import FORGERY
from tests.hostile.honest import HONEST
from tests.hostile.layouts import LAYOUTS
from tests.hostile.lies import LIES
from tests.hostile.reports import REPORTS

GALLERY: tuple[Case, ...] = (
    *ARCHIVES,
    *LAYOUTS,
    *HONEST,
    *FORGERY,
    *EXHAUSTION,
    *ESCAPES,
    *REPORTS,
    *LIES,
    *CHEATS,
)
