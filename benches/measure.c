/* Runs a command and appends what it took to a file: seconds on the clock, seconds of the processor, peak memory in KiB.
 *
 *   measure FILE LABEL CMD [ARG...]
 *
 * The command's output goes where it went. Ends as the command does. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    if (count < 4) return 125;
    struct timespec begin, end;
    struct rusage used;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    pid_t child = fork();
    if (child < 0) return 125;
    if (child == 0) {
        execvp(arguments[3], arguments + 3);
        perror(arguments[3]);
        _exit(127);
    }
    if (wait4(child, &status, 0, &used) < 0) return 125;
    clock_gettime(CLOCK_MONOTONIC, &end);
    FILE *file = fopen(arguments[1], "a");
    if (!file) { perror(arguments[1]); return 125; }
    double wall = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    fprintf(file, "%s %.6f %.6f %ld\n", arguments[2], wall, cpu, used.ru_maxrss);
    if (fclose(file)) return 125;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
