tar -cf empty.tar -T /dev/null; : > empty; printf '\037\213noise' > noise.gz
