ln -s ../../../../../../etc link
tar -cf ../context.tar link
