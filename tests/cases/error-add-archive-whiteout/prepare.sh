mkdir in; echo x > in/.wh.victim; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -cf in.tar .wh.victim; rm -r in
