/** Which dialog is open: the command palette, the key help, or none. */

import { createSignal } from 'solid-js';

const [open, setOpen] = createSignal<'palette' | 'help' | null>(null);

export { open as openDialog };
export const openPalette = (): void => void setOpen('palette');
export const openHelp = (): void => void setOpen('help');
export const closeDialog = (): void => void setOpen(null);
