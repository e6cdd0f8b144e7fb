// A goroutine for each client: ./server PORT
package main

import (
	"bufio"
	"net"
	"os"
)

func converse(client net.Conn) {
	defer client.Close()
	lines := bufio.NewReaderSize(client, 65536+2)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil || len(line) < 5 {
			return
		}
		if _, err := client.Write(append([]byte("OK"), line[4:]...)); err != nil {
			return
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		client, err := listener.Accept()
		if err == nil {
			go converse(client)
		}
	}
}
