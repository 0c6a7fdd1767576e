mkdir b; ln a b/c
