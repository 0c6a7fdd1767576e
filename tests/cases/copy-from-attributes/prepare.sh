# tar writes a long owner's name as a PAX record; attributes of the same length take its place.
mkdir d; echo plain > d/plain; echo able > d/able; chmod 755 d/able
archive() { tar --format=posix --pax-option=delete=atime,delete=ctime --mtime=@1600000000 --owner="$2:0" --group=root:0 -cf "$1" "$3"; }
archive with.tar NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN d/plain
archive able.tar CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC d/able
LC_ALL=C sed -i 's/uname=N\{40\}/SCHILY.xattr.user.note=something to keep with./' with.tar
LC_ALL=C sed -i 's/uname=C\{47\}/SCHILY.xattr.security.capability=\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00/' able.tar
tar -Af with.tar able.tar
rm -r d able.tar
