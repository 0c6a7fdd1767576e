mkdir -p in/app; echo x > in/app/f
tar -C in --mtime=@1500000000 --owner=3 --group=4 -cf in.tar app/f; rm -r in
