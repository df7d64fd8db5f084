// The form's default: a Communication Services resource that is there, with its topic, in another resource group.
using '../../../infra/main.bicep'

param environmentName = 'existing'
param callbackNumbers = '+14255550101;+14255550102'
param fallbackCallbackNumber = '+14255550100'
param emailSender = 'emergency@example.com'
param existingCommunicationServiceId = '/subscriptions/00000000-0000-0000-0000-000000000003/resourceGroups/contact-centre/providers/Microsoft.Communication/communicationServices/acs-contact-centre'
param existingSystemTopicId = '/subscriptions/00000000-0000-0000-0000-000000000003/resourceGroups/contact-centre/providers/Microsoft.EventGrid/systemTopics/acs-events'
param authClientId = '00000000-0000-0000-0000-00000000000a'
param availabilityTest = false
param lock = false
param deployEvents = true
