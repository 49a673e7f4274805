/* The front of dist/onefleet: unpacks what is behind it into a private folder, once for each build and boot, and becomes
 * the program in there. It execs and stays no parent, so that there is one process: its pid is the one that a service
 * manager watches, and a signal comes once.
 *
 * Behind the launcher lie the payload, which is one zstd stream of records, and a trailer that tells where it begins. A
 * record is a line "MODE SIZE PATH", both numbers octal, and SIZE bytes: a file's content, or a link's target. Written by
 * pack.py.
 *
 * The folder's name has the boot in it: after a power failure nothing is trusted that may not have reached the disk, so
 * nothing needs to be flushed. Whoever runs out of a folder holds a shared lock in it, which outlives the exec; whoever
 * unpacks removes folders that nobody runs out of.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define MAGIC "ONEFLEET"
#define BUILD_LENGTH 16
#define IN_USE ".in-use"
#define DRAFT "unpacking"

struct trailer {
    uint64_t payload_at, payload_size;
    char build[BUILD_LENGTH];
    char magic[sizeof MAGIC - 1];
};

static char problems[2048];

/* Notes why a folder will not do; the next one is tried. */
static int note(const char *path) {
    size_t used = strlen(problems);
    snprintf(problems + used, sizeof problems - used, "\n  %s: %s", path, strerror(errno));
    return -1;
}

static void die(const char *format, ...) {
    va_list values;
    va_start(values, format);
    fputs("onefleet: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    exit(1);
}

static char *joined(const char *format, ...) {
    char *text;
    va_list values;
    va_start(values, format);
    if (vasprintf(&text, format, values) < 0) die("out of memory");
    return text;
}

/* --- this file */

struct program {
    const unsigned char *payload;
    size_t payload_size;
    char build[BUILD_LENGTH + 1];
};

static struct program open_program(void) {
    struct trailer trailer;
    struct stat status;
    struct program program = {0};
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (file < 0) die("/proc/self/exe cannot be read (%s): is /proc mounted?", strerror(errno));
    if (fstat(file, &status) < 0 || pread(file, &trailer, sizeof trailer, status.st_size - (off_t)sizeof trailer) != sizeof trailer)
        die("this file cannot be read: %s", strerror(errno));
    if (memcmp(trailer.magic, MAGIC, sizeof trailer.magic) != 0 ||
        trailer.payload_at + trailer.payload_size + sizeof trailer != (uint64_t)status.st_size)
        die("this file is not whole: copy it again");
    size_t skipped = trailer.payload_at % (size_t)sysconf(_SC_PAGESIZE);
    size_t length = skipped + trailer.payload_size;
    unsigned char *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, (off_t)(trailer.payload_at - skipped));
    if (bytes == MAP_FAILED) die("this file cannot be read: %s", strerror(errno));
    close(file);
    program.payload = bytes + skipped;
    program.payload_size = trailer.payload_size;
    memcpy(program.build, trailer.build, BUILD_LENGTH);
    return program;
}

static const char *boot(void) {
    static char id[9] = "0";
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read(file, id, 8) != 8) strcpy(id, "0");
    if (file >= 0) close(file);
    return id;
}

/* --- unpacking */

struct reader {
    ZSTD_DStream *stream;
    ZSTD_inBuffer in;
    unsigned char block[1 << 17];
    size_t at, end;
};

static int next_byte(struct reader *reader) {
    while (reader->at == reader->end) {
        ZSTD_outBuffer out = {reader->block, sizeof reader->block, 0};
        size_t result = ZSTD_decompressStream(reader->stream, &out, &reader->in);
        if (ZSTD_isError(result)) die("this file is damaged (%s): copy it again", ZSTD_getErrorName(result));
        if (out.pos == 0 && reader->in.pos == reader->in.size) return -1;
        reader->at = 0;
        reader->end = out.pos;
    }
    return reader->block[reader->at++];
}

static int read_line(struct reader *reader, char *line, size_t room) {
    size_t length = 0;
    int byte;
    while ((byte = next_byte(reader)) >= 0 && byte != '\n')
        if (length + 1 < room) line[length++] = (char)byte;
    line[length] = 0;
    return byte >= 0;
}

static int copy_out(struct reader *reader, int file, size_t size) {
    while (size > 0) {
        int first = next_byte(reader);
        if (first < 0) die("this file is damaged: copy it again");
        reader->at--;
        size_t here = reader->end - reader->at < size ? reader->end - reader->at : size;
        ssize_t written = write(file, reader->block + reader->at, here);
        if (written < 0) return -1;
        reader->at += (size_t)written;
        size -= (size_t)written;
    }
    return 0;
}

static int make_parents(char *path, size_t from) {
    for (char *slash = strchr(path + from, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int made = mkdir(path, 0700);
        *slash = '/';
        if (made < 0 && errno != EEXIST) return -1;
    }
    return 0;
}

static int unpack_one(struct reader *reader, char *path, unsigned mode, size_t size) {
    if (S_ISLNK(mode)) {
        char target[PATH_MAX] = "";
        if (size >= sizeof target) die("this file is damaged: copy it again");
        for (size_t at = 0; at < size; at++) target[at] = (char)next_byte(reader);
        return symlink(target, path);
    }
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0700);
    if (file < 0) return -1;
    int result = copy_out(reader, file, size);
    return close(file) < 0 ? -1 : result;
}

static int unpack(const struct program *program, const char *folder) {
    struct reader reader = {ZSTD_createDStream(), {program->payload, program->payload_size, 0}, {0}, 0, 0};
    char line[PATH_MAX];
    int result = 0;
    while (result == 0 && read_line(&reader, line, sizeof line)) {
        unsigned mode;
        size_t size;
        int name_at;
        if (sscanf(line, "%o %zo %n", &mode, &size, &name_at) != 2) die("this file is damaged: copy it again");
        char *path = joined("%s/%s", folder, line + name_at);
        if ((result = make_parents(path, strlen(folder) + 1)) == 0) result = unpack_one(&reader, path, mode, size);
        if (result < 0) note(path);
        free(path);
    }
    ZSTD_freeDStream(reader.stream);
    return result;
}

/* --- folders that were unpacked */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where) {
    (void)status, (void)kind, (void)where;
    return remove(path);
}

static void remove_all(const char *folder) {
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Returns the open file of a lock in the folder, which is there and stays as long as that is open; or -1. */
static int hold(const char *folder, int how) {
    struct stat status;
    char *path = joined("%s/" IN_USE, folder);
    int file = open(path, O_RDONLY); /* without O_CLOEXEC: the lock must outlive the exec */
    free(path);
    if (file < 0) return -1;
    if (flock(file, how | LOCK_NB) == 0 && fstat(file, &status) == 0 && status.st_nlink > 0) return file;
    close(file);
    return -1;
}

static void remove_unused(const char *cache, const char *kept) {
    DIR *entries = opendir(cache);
    if (!entries) return;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (entry->d_name[0] == '.' || !strchr(entry->d_name, '-') || strcmp(entry->d_name, kept) == 0) continue;
        char *folder = joined("%s/%s", cache, entry->d_name);
        int lock = hold(folder, LOCK_EX);
        if (lock >= 0) {
            remove_all(folder);
            close(lock);
        }
        free(folder);
    }
    closedir(entries);
}

/* Returns 0 if the path is a folder that belongs to this user alone; makes it if it is missing. */
static int make_private(const char *path) {
    struct stat status;
    if (mkdir(path, 0700) < 0 && errno != EEXIST) return note(path);
    if (lstat(path, &status) < 0) return note(path);
    if (S_ISDIR(status.st_mode) && status.st_uid == geteuid() && !(status.st_mode & 022)) return 0;
    errno = EPERM;
    return note(path);
}

static int fill(const struct program *program, const char *cache, const char *folder, const char *name) {
    char *draft = joined("%s/" DRAFT, cache), *mark = joined("%s/" IN_USE, draft);
    remove_all(draft); /* left by one that was killed */
    int result = mkdir(draft, 0700) < 0 ? note(draft) : unpack(program, draft);
    if (result == 0) {
        int file = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        result = file < 0 || close(file) < 0 || rename(draft, folder) < 0 ? note(folder) : 0;
    }
    if (result < 0) remove_all(draft);
    else remove_unused(cache, name);
    free(draft);
    free(mark);
    return result;
}

/* Returns 0 once the program lies in the folder, held by this process. */
static int provide(const struct program *program, const char *cache, const char *folder, const char *name) {
    if (hold(folder, LOCK_SH) >= 0) return 0;
    char *path = joined("%s/.lock", cache);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) return note(path);
    free(path);
    int held = hold(folder, LOCK_SH); /* another may have unpacked it meanwhile */
    if (held < 0 && fill(program, cache, folder, name) == 0 && (held = hold(folder, LOCK_SH)) < 0) note(folder);
    close(lock);
    return held < 0 ? -1 : 0;
}

/* --- where to */

static void run_in(const struct program *program, const char *cache, char **arguments) {
    if (make_private(cache) < 0) return;
    char *name = joined("%s-%s", program->build, boot()), *folder = joined("%s/%s", cache, name);
    if (provide(program, cache, folder, name) == 0) {
        char *inner = joined("%s/onefleet", folder), *libraries = joined("%s/_internal", folder);
        const char *theirs = getenv("LD_LIBRARY_PATH");
        setenv("ONEFLEET_LD_LIBRARY_PATH", theirs ? theirs : "", 1); /* put back by start.py for what it starts */
        setenv("LD_LIBRARY_PATH", libraries, 1);
        execv(inner, arguments);
        note(inner); /* a disk that nothing may be executed from: the next one */
        if (*getenv("ONEFLEET_LD_LIBRARY_PATH")) setenv("LD_LIBRARY_PATH", getenv("ONEFLEET_LD_LIBRARY_PATH"), 1);
        else unsetenv("LD_LIBRARY_PATH");
        remove_all(folder);
    }
    free(folder);
    free(name);
}

static void run_below(const struct program *program, const char *variable, const char *below, char **arguments) {
    const char *value = getenv(variable);
    if (!value || value[0] != '/') return;
    char *parent = joined("%s%s", value, below), *cache = joined("%s/onefleet", parent);
    if (*below) mkdir(parent, 0700);
    run_in(program, cache, arguments);
    free(parent);
    free(cache);
}

int main(int count, char **arguments) {
    (void)count;
    char itself[PATH_MAX] = "";
    struct program program = open_program();
    if (readlink("/proc/self/exe", itself, sizeof itself - 1) > 0) setenv("ONEFLEET_PROGRAM", itself, 1);
    run_below(&program, "ONEFLEET_UNPACK_DIR", "", arguments);
    run_below(&program, "CACHE_DIRECTORY", "", arguments); /* systemd's */
    run_below(&program, "XDG_CACHE_HOME", "", arguments);
    run_below(&program, "HOME", "/.cache", arguments);
    if (geteuid() == 0) run_in(&program, "/var/cache/onefleet-root", arguments);
    char *last = joined("/tmp/onefleet-%u", (unsigned)geteuid());
    run_in(&program, last, arguments);
    die("there is no place to unpack itself to:%s\nName a folder of yours on a disk that programs may run from: ONEFLEET_UNPACK_DIR=/FOLDER",
        problems);
}
