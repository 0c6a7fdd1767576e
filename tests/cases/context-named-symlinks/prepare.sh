cd ../contexts/files
ln -s /a to-a
ln -s ../../.. up
ln -s ../../context/a outside
touch -h -d @1609459200 to-a up outside
