mkdir names; cd names
touch 'a space' "quote'\"" 'ünïcode' "$(printf 'latin\351')" "$(printf 'x%.0s' $(seq 120))"
mkdir -p "$(printf 'y%.0s' $(seq 100))/$(printf 'z%.0s' $(seq 100))"
touch "$(printf 'y%.0s' $(seq 100))/$(printf 'z%.0s' $(seq 100))/end"
