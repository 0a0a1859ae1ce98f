"""The objects of Icinga that a person adds to anycast-notifications.conf."""

CONTACTS = """
object User "icingaadmin" { }
object NotificationCommand "mail" { command = [ "/bin/true" ] }
template Notification "anycast-page-by" { command = "mail", users = [ "icingaadmin" ] }
template Notification "anycast-ticket-by" { command = "mail", users = [ "icingaadmin" ] }
template Notification "anycast-host-ticket-by" { command = "mail", users = [ "icingaadmin" ] }
"""
