"""The example plugins of every SDK, in one component."""

from allow_list import Listentry
from body import Request
from claims import Authorization
from osier_plugin import configuration
from placement import Admit, Balance, Route, Schedule
from settings import settings
from token_bucket import Quota

Configuration = configuration(settings.update)
