mkdir in; echo x > in/dots; echo x > in/absolute
tar -C in --mtime=@1500000000 --owner=0 --group=0 -P --transform 's,^dots,../../../dots,' --transform 's,^absolute,/absolute,' -cf evil.tar dots absolute
rm -r in
