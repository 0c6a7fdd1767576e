mkdir in
ln -s / out
touch -h -d @1609459200 out in
tar --mtime=@1609459200 -P --transform='s,^a$,../../up,' -cf ../context.tar a
tar --mtime=@1609459200 -P --transform='s,^a$,/absolute,' -rf ../context.tar a
tar --mtime=@1609459200 -rf ../context.tar out
tar --mtime=@1609459200 -P --transform='s,^a$,out/through,' -rf ../context.tar a
rm -r a in out
