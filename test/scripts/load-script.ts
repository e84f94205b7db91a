/**
 * A module of scripts/setup/, or with its folder of another one in scripts/, which is plain JavaScript so
 * that it runs before anything is installed: the caller states the part of it that is tested.
 */
export async function loadScript<T>(name: string): Promise<T> {
  return (await import(
    new URL(`../../scripts/${name.includes('/') ? name : `setup/${name}`}`, import.meta.url).href
  )) as T;
}
