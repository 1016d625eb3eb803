// SPDX-License-Identifier: GPL-2.0
/* Texts for the user whose request is refused. */
#include <linux/netlink.h>
#include <linux/version.h>

#include "eswsim.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
void esw_say(struct netlink_ext_ack *extack, const char *format, ...)
{
	char text[ESW_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vscnprintf(text, sizeof(text), format, args);
	va_end(args);
	NL_SET_ERR_MSG_FMT(extack, "%s", text);
}
#else
/* Here an extack only points to its text, which is sent after we returned: a
 * text stays until as many others were written.
 */
static char texts[64][ESW_TEXT_MAX];
static atomic_t next_text;

void esw_say(struct netlink_ext_ack *extack, const char *format, ...)
{
	char *text = texts[(u32)atomic_inc_return(&next_text) % ARRAY_SIZE(texts)];
	va_list args;

	if (!extack)
		return;
	va_start(args, format);
	vscnprintf(text, ESW_TEXT_MAX, format, args);
	va_end(args);
	extack->_msg = text;
}
#endif
