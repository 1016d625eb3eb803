"""neutron-server, which tries again where SQLite refuses a transaction.

On other databases two transactions of two workers that meet are a deadlock, which
Neutron answers by trying again. SQLite says "database is locked", which oslo.db
does not take for the same.
"""
import sys

from neutron.cmd.eventlet.server import main  # first: it makes threads green
from oslo_db import exception
from oslo_db.sqlalchemy import exc_filters
from sqlalchemy import exc


@exc_filters.filters("sqlite", exc.OperationalError, r".*database is locked")
def locked(error, match, engine_name, is_disconnect):
    raise exception.DBDeadlock(error)


sys.exit(main())
