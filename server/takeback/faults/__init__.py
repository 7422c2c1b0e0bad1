"""For tests of connectors and policies: what goes wrong between a guard and a real upstream, done to real bytes.

`FaultyProxy` stands before an HTTP server, `FaultyLines` before an MCP server on stdio. Both do to the next call that
fits an order what its `Fault` says; everything else passes as it is.

>>> with FaultyProxy(port).running() as proxy:
...     proxy.order(Fault.CUT_AFTER, "POST", "/payments")
"""

from takeback.faults.http import Carried, FaultyProxy
from takeback.faults.kinds import Fault
from takeback.faults.lines import FaultyLines

__all__ = ["Carried", "Fault", "FaultyLines", "FaultyProxy"]
