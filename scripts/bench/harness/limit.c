/* The physical limit: walk a tree and do the least with each regular file that a tool must do.
 *
 *   limit stat|read|hash|drop THREADS ROOT
 *
 * stat: list and fstatat. read: openat, fstat, read, close. hash: the same with XXH3_128 of each
 * file. drop: have the page cache forget each file. Prints the number of files and of their bytes.
 * A directory is the unit of work; threads take it from a stack that they also fill.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifndef WITHOUT_HASH
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

enum mode { STAT, READ, HASH, DROP };
enum { BUFFER = 1 << 18 };

struct directory {
    struct directory *next;
    char path[];
};

static enum mode mode;
static struct directory *stack;
static long waiting, files, bytes;
static unsigned long long sink; /* keeps the digests from being optimised away */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;

struct tally {
    char *buffer;
    long files, bytes;
    unsigned long long sink;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void push(const char *parent, const char *name)
{
    size_t length = strlen(parent) + strlen(name) + 2;
    struct directory *found = malloc(sizeof *found + length);
    if (!found)
        fail("malloc");
    snprintf(found->path, length, name[0] ? "%s/%s" : "%s", parent, name);
    pthread_mutex_lock(&lock);
    found->next = stack;
    stack = found;
    waiting++;
    pthread_cond_signal(&change);
    pthread_mutex_unlock(&lock);
}

static void contents(int file, struct tally *tally)
{
    ssize_t got;
#ifndef WITHOUT_HASH
    XXH3_state_t state;
    ssize_t first = read(file, tally->buffer, BUFFER);
    if (first < 0)
        fail("read");
    if (first < BUFFER) { /* all of a small file: one call, as the next read would return 0 */
        if (mode == HASH)
            tally->sink ^= XXH3_128bits(tally->buffer, first).low64;
        return;
    }
    if (mode == HASH) {
        XXH3_128bits_reset(&state);
        XXH3_128bits_update(&state, tally->buffer, first);
    }
#endif
    while ((got = read(file, tally->buffer, BUFFER)) > 0) {
#ifndef WITHOUT_HASH
        if (mode == HASH)
            XXH3_128bits_update(&state, tally->buffer, got);
#endif
    }
    if (got < 0)
        fail("read");
#ifndef WITHOUT_HASH
    if (mode == HASH)
        tally->sink ^= XXH3_128bits_digest(&state).low64;
#endif
}

static void one_file(int where, const char *name, struct tally *tally)
{
    struct stat facts;
    if (mode == STAT) {
        if (fstatat(where, name, &facts, AT_SYMLINK_NOFOLLOW))
            fail(name);
    } else {
        int file = openat(where, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (file < 0 || fstat(file, &facts))
            fail(name);
        if (mode == DROP)
            posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        else
            contents(file, tally);
        close(file);
    }
    tally->files++;
    tally->bytes += facts.st_size;
}

static void one_directory(const char *path, struct tally *tally)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    if (!directory)
        fail(path);
    while ((entry = readdir(directory))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (entry->d_type == DT_DIR)
            push(path, entry->d_name);
        else if (entry->d_type == DT_REG)
            one_file(dirfd(directory), entry->d_name, tally);
    }
    closedir(directory);
}

static void *work(void *unused)
{
    struct tally tally = {.buffer = malloc(BUFFER)};
    (void)unused;
    if (!tally.buffer)
        fail("malloc");
    pthread_mutex_lock(&lock);
    while (waiting) {
        struct directory *taken = stack;
        if (!taken) {
            pthread_cond_wait(&change, &lock);
            continue;
        }
        stack = taken->next;
        pthread_mutex_unlock(&lock);
        one_directory(taken->path, &tally);
        free(taken);
        pthread_mutex_lock(&lock);
        if (!--waiting)
            pthread_cond_broadcast(&change);
    }
    files += tally.files;
    bytes += tally.bytes;
    sink ^= tally.sink;
    pthread_mutex_unlock(&lock);
    free(tally.buffer);
    return NULL;
}

int main(int count, char **words)
{
    static const char *const names[] = {"stat", "read", "hash", "drop"};
    pthread_t threads[64];
    int number = count == 4 ? atoi(words[2]) : 0, found = -1;
    for (int i = 0; count == 4 && i < 4; i++)
        if (!strcmp(words[1], names[i]))
            found = i;
    if (found < 0 || number < 1 || number > 64) {
        fprintf(stderr, "usage: limit stat|read|hash|drop THREADS ROOT\n");
        return 2;
    }
    mode = (enum mode)found;
    push(words[3], "");
    for (int i = 0; i < number; i++)
        if (pthread_create(&threads[i], NULL, work, NULL))
            fail("pthread_create");
    for (int i = 0; i < number; i++)
        pthread_join(threads[i], NULL);
    printf("%ld %ld\n", files, bytes);
    return sink == 1; /* practically never */
}
