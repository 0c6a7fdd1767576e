ln -s app link
tar --mtime=@1609459200 -cf ../context.tar .
rm -r ./*
