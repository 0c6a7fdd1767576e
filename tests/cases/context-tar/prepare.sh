tar --mtime=@1609459200 --owner=7 -cf inner.tar d/b
touch -d @1609459200 inner.tar
ln -s d/b link
tar --sort=name --mtime=@1609459200 -cf ../context.tar --owner=1234 --group=5678 .
rm -r ./*
