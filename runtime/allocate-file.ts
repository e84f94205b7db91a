import koffi from 'koffi';

// <fcntl.h>: the error's number, 0 for none.
const allocate = koffi.load(null).func('int posix_fallocate(int file, int64_t offset, int64_t length)');

/**
 * Makes a file `bytes` long, of zeros, with room for all of them: none is missed later. False where there is not as
 * much. In a memory file system it takes a fraction of the time of writing them.
 */
export function allocateFile(file: number, bytes: number): boolean {
  return allocate(file, 0, bytes) === 0;
}
