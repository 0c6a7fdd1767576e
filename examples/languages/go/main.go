package main

import (
	"fmt"
	"os"
	"runtime"
)

func greeting(name string) string {
	return fmt.Sprintf("Hello, %s, from Go on %s", name, runtime.GOOS)
}

func main() {
	for _, name := range os.Args[1:] {
		fmt.Println(greeting(name))
	}
}
