/**
 * Values of 32 bits in 64 bytes. TensorFlow shares memory that begins at a multiple of 64, and copies other
 * memory: it takes apart what it is fed without a copy where pieces are whole rows.
 */
export const rowLength = 16;
