mkdir -p in/abs in/up; echo x > in/abs/f; echo y > in/up/g; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -cf in.tar abs/f up/g; rm -r in
