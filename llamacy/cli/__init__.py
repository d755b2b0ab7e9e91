"""The commands: an options table, the console, one module with a main loop per tool."""
