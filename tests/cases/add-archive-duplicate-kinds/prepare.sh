mkdir -p in/x; echo x > in/x/f; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -cf in.tar x; rm -r in/x; echo file > in/x; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -rf in.tar x
mkdir in/y; echo y > in/y/f; rm in/x; ln -s nowhere in/x; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -rf in.tar x y; rm -r in
