/* A thread for each client: ./server PORT */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONGEST = 65536 + 2 };

static int send_all(int client, const char *data, size_t size) {
  while (size > 0) {
    ssize_t sent = send(client, data, size, MSG_NOSIGNAL);
    if (sent < 0) return -1;
    data += sent;
    size -= sent;
  }
  return 0;
}

static void answer(int client) {
  char buffer[LONGEST];
  size_t held = 0;
  ssize_t got;
  while (held < sizeof buffer && (got = recv(client, buffer + held, sizeof buffer - held, 0)) > 0) {
    char *line = buffer, *end;
    held += got;
    while ((end = memchr(line, '\n', held - (line - buffer)))) {
      if (end - line < 4) return;
      memcpy(line + 2, "OK", 2); /* over the end of "ECHO" */
      if (send_all(client, line + 2, end + 1 - (line + 2))) return;
      line = end + 1;
    }
    held -= line - buffer;
    memmove(buffer, line, held);
  }
}

static void *converse(void *argument) {
  int client = (intptr_t)argument, on = 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  answer(client);
  close(client);
  return NULL;
}

int main(int count, char **arguments) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[count - 1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) return 1;
  for (;;) {
    pthread_t thread;
    int client = accept(listener, NULL, NULL);
    if (client < 0) continue;
    if (pthread_create(&thread, NULL, converse, (void *)(intptr_t)client)) close(client);
    else pthread_detach(thread);
  }
}
