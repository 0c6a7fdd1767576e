long=$(printf '%0120d' 1); mkdir -p in/$long; echo x > in/$long/$long; ln -s $long in/$long/l
tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 --format=gnu -cf gnu.tar $long; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 --format=pax -cf pax.tar $long; rm -r in
