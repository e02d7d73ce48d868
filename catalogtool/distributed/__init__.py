"""The only code that knows Ray: it places the work of the other folders."""
