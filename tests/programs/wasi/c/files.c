// Works on files in the directory that is its argument: writes, seeks, reads, renames, lists, removes. Tries to
// leave the directory, which must fail. Prints what it finds.

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check(int done, const char *what) {
    if (!done) {
        perror(what);
        exit(1);
    }
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *directory) {
    char *names[16];
    int count = 0;
    DIR *open = opendir(directory);
    check(open != NULL, "opendir");
    for (struct dirent *entry; (entry = readdir(open));)
        if (entry->d_name[0] != '.' && count < 16)
            names[count++] = strdup(entry->d_name);
    closedir(open);
    qsort(names, count, sizeof *names, by_name);
    for (int i = 0; i < count; i++)
        printf("%s%s", i ? " " : "", names[i]);
    printf("\n");
}

int main(int argc, char **argv) {
    check(argc == 2 && chdir(argv[1]) == 0, "chdir");
    FILE *file = fopen("a.txt", "w+");
    check(file != NULL, "fopen");
    for (int i = 0; i < 1000; i++)
        fprintf(file, "%d\n", i);
    check(fseek(file, 8, SEEK_SET) == 0, "fseek");
    int number;
    check(fscanf(file, "%d", &number) == 1, "fscanf");
    fseek(file, 0, SEEK_END);
    printf("number %d, size %ld\n", number, ftell(file));
    fclose(file);
    check(mkdir("sub", 0777) == 0, "mkdir");
    check(rename("a.txt", "sub/b.txt") == 0, "rename");
    list(".");
    list("sub");
    struct stat stat_of;
    check(stat("sub/b.txt", &stat_of) == 0, "stat");
    printf("stat %lld\n", (long long)stat_of.st_size);
    file = fopen("../outside.txt", "w");
    printf("outside: %s\n", file ? "reached" : strerror(errno));
    check(unlink("sub/b.txt") == 0 && rmdir("sub") == 0, "unlink");
    list(".");
    return 0;
}
