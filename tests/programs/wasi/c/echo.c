// Shows what a program is given: arguments, the environment, standard input line by line, and the sizes of the
// files that are named as arguments. Exits with the number of lines; with 100 if a file cannot be opened.

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    printf("arguments:");
    for (int i = 0; i < argc; i++)
        printf(" %s", argv[i]);
    printf("\n");
    const char *who = getenv("WHO");
    fprintf(stderr, "WHO is %s\n", who ? who : "not set");
    char line[256];
    int lines = 0;
    while (fgets(line, sizeof line, stdin))
        printf("%d: %s", ++lines, line);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-')
            continue;
        FILE *file = fopen(argv[i], "rb");
        if (!file) {
            perror(argv[i]);
            return 100;
        }
        long bytes = 0;
        while (fgetc(file) != EOF)
            bytes++;
        fclose(file);
        printf("%s: %ld bytes\n", argv[i], bytes);
    }
    return lines;
}
