"""Work on names: what the commands do, without the parsing of arguments. One file per verb."""
