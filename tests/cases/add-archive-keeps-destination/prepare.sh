mkdir in; echo x > in/x; chmod 700 in; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -cf in.tar .; rm -r in
