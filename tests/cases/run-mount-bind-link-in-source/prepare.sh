ln -s /real out
